% exercise: mse

Let $r = y - x$. Then

\[ \frac{\partial L}{\partial x} = -\frac{2}{N} r \]
\[ \frac{\partial L}{\partial y} = -\frac{2}{N} r \]
