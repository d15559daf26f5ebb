% exercise: softmax-regression

Let $\delta = p - y$ denote the error. Then
\[ \frac{\partial L}{\partial W} = x^\top \delta \]
