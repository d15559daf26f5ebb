% exercise: softmax-regression

For a one-hot target with $\sum_k y_{ik} = 1$ we obtain
\[ \frac{\partial L}{\partial z_{ik}} = \frac{p_{ik}-y_{ik}}{N} \]

For a one-hot target with $\sum_k y_{ik} = 1$ we obtain
\[ \frac{\partial L}{\partial z_{ik}} = \frac{p_{ik}+y_{ik}}{N} \]
