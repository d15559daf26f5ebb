% exercise: mlp

\begin{aligned}
\delta_2 &= \frac{2}{N}(\hat y-y) \\
\delta_1 &= \delta_2 W_2^\top \\
\frac{\partial L}{\partial W_1} &= x^\top\delta_1 \\
\frac{\partial L}{\partial b_1} &= \mathbf{1}^\top\delta_1
\end{aligned}
