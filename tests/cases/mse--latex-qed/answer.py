% exercise: mse
\[ \frac{\partial L}{\partial q_i} = \frac{1}{N} \qquad \blacksquare \]
\[ \frac{\partial L}{\partial r_i} = \frac{2}{N} r_i. \qedhere \]
\[ \frac{\partial L}{\partial x_i} = \square\, r_i \]
