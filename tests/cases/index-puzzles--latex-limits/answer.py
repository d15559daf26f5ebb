% exercise: index-puzzles
\frac{\partial L}{\partial x_i} = \sum_{o=i}^{N-1} \frac{\partial L}{\partial y_o}
\frac{\partial L}{\partial x_i} = \sum_{o=i}^{N} \frac{\partial L}{\partial y_o}
\frac{\partial L}{\partial x_i} = \frac{\partial L}{\partial y_i} + \sum_{o=i+1}^{N-1} \frac{\partial L}{\partial y_o}
\frac{\partial L}{\partial x_i} = \sum_{o=i+1}^{N-1} \frac{\partial L}{\partial y_o}
