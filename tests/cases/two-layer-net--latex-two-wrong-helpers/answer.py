% exercise: two-layer-net:penalty=none

\begin{aligned}
\delta_2 &= \mathrm{softmax}(z_2)-\mathbf{1}_y \\
\delta_1 &= \delta_2 W_2^\top \\
\frac{\partial L}{\partial W_1} &= X^\top\delta_1 \\
\frac{\partial L}{\partial b_1} &= \mathbf{1}^\top\delta_1
\end{aligned}
