% exercise: mse

\[ L = \frac1N \|r\|_2^2 \]
\[ \frac{\partial L}{\partial r} = \frac{2 \lVert r \rVert_2^2}{N \|r\|^2} r \]
\[ \frac{\partial L}{\partial r} = \frac{2 \|r\|_2}{N \|r\|^2} r \]
\[ \frac{\partial L}{\partial r} = \frac{2 \|r\|_1}{N} r \]
