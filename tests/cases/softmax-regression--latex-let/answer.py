% exercise: softmax-regression

Let $\delta = \frac{1}{N}(p - y)$ denote the error. Then
\[ \frac{\partial L}{\partial W} = x^\top \delta \]
\[ \frac{\partial L}{\partial b} = \mathbf{1}^\top \delta \]
\[ \frac{\partial L}{\partial b} = \mathbf{1}^\top \delta \cdot 2 \]
