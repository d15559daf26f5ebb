% exercise: softmax-regression

\[ \frac{\partial \log p_{il}}{\partial z_{ik}} = \delta_{lk} - p_{ik} \]
\[ \frac{\partial L(W, b)}{\partial W} = \frac1N x^\top (p - y) \]
\[ \frac{\partial L(W, b)}{\partial b} = \mathbf{1}^\top (p - y) \]
