% exercise: softmax-regression

\begin{aligned}
\delta &= p-y \\
g &= 2\delta \\
\frac{\partial L}{\partial W} &= x^\top g \\
\frac{\partial L}{\partial b} &= \mathbf 1^\top g
\end{aligned}
