% exercise: softmax-regression

For the entry with $y_{ik} = 1$ we obtain
\[ \frac{\partial L}{\partial z_{ik}} = \frac{p_{ik}-1}{N} \]
