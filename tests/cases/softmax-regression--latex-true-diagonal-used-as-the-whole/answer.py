# exercise: softmax-regression
\[\frac{\partial L}{\partial p_{ik}} = -\frac{y_{ik}}{N p_{ik}}\]
\[\frac{\partial p_{ik}}{\partial z_{ik}} = p_{ik}(1-p_{ik})\]
\[\frac{\partial L}{\partial z_{ik}} = \frac{\partial L}{\partial p_{ik}} \frac{\partial p_{ik}}{\partial z_{ik}}\]

# exercise: softmax-regression
\[\frac{\partial p_{ik}}{\partial z_{ik}} = p_{ik}(1+p_{ik})\]
