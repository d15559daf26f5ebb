% exercise: softmax-regression

For all entries,
\[ \frac{\partial p_{il}}{\partial z_{ik}} = p_{ik}(1-p_{ik}) \]
\[ \frac{\partial L}{\partial z_{ik}} = \frac{p_{ik} - y_{ik}}{N} \]
