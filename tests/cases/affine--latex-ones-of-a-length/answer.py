% exercise: affine

\[ \frac{\partial L}{\partial b} = \mathbf{1}_N^\top dY \]
\[ \frac{\partial L}{\partial b} = \mathbf{1}^\top dY \]
\[ \frac{\partial L}{\partial b} = \mathbf{1}_D^\top dY \]
\[ \frac{\partial L}{\partial b} = \mathbf{1}_n^\top dY \]
