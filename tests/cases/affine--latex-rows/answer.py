% exercise: affine

\[ \frac{\partial L}{\partial b} = \sum_i dY_i \]
\[ \frac{\partial L}{\partial b} = \sum_i dY_{i,:} \]
\[ \frac{\partial L}{\partial b_k} = \sum_i dY_{ik} \]
