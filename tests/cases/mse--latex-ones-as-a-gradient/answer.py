% exercise: mse

\[ \frac{\partial L}{\partial q} = \frac1N \mathbf{1} \]
\[ \frac{\partial L}{\partial q} = \frac{\mathbf 1}{N} \]
\[ \frac{\partial L}{\partial q} = \mathbf 1/N \]
\[ \frac{\partial L}{\partial q} = \frac{1}{N} \mathbf{1}_N \]
\[ \frac{\partial L}{\partial q} = \mathbf{1}_N \]
\[ \frac{\partial L}{\partial q} = 2 \cdot \mathbf 1/N \]
