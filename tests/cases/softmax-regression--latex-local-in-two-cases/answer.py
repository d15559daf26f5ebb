% exercise: softmax-regression

If $l = k$, then
\[ \frac{\partial p_{il}}{\partial z_{ik}} = p_{ik}(1-p_{ik}) \]
If $l \neq k$, then
\[ \frac{\partial p_{il}}{\partial z_{ik}} = -p_{ik} p_{il} \]
Both together give

\[ \frac{\partial L}{\partial p_{ik}} = -\frac{y_{ik}}{N p_{ik}} \]
\[ \frac{\partial L}{\partial z_{ik}} = \sum_l \frac{\partial L}{\partial p_{il}} \frac{\partial p_{il}}{\partial z_{ik}} = \frac{p_{ik} - y_{ik}}{N} \]
