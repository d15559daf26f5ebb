% exercise: conv1d

\[ \frac{\partial y_o}{\partial x_{o+k}} = w_k \]
\[ \frac{\partial y_o}{\partial x_i} = \sum_k w_k \mathbb{1}[i = o + k] \]
