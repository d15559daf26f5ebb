% exercise: softmax-regression

\[ \frac{\partial L}{\partial p} = -\frac1N \, y \oslash p \]
\[ \frac{\partial L}{\partial p} = \frac1N \, y \oslash p \]
