% exercise: softmax-regression

The error is $\delta = \frac{1}{N}(p - y)$. Then
\[ \frac{\partial L}{\partial W} = x^\top \delta \]
