% exercise: cross-entropy

\[ \frac{\partial L}{\partial z} = \frac{1}{N}(\operatorname{softmax}(z) - \mathbf{1}_{y}) \]
\[ \frac{\partial L}{\partial z} = \frac{1}{N}(\operatorname{softmax}(z) - \operatorname{onehot}(y)) \]
\[ \frac{\partial L}{\partial z} = \frac{1}{N}(\operatorname{softmax}(z) - \operatorname{one\_hot}(y, K)) \]
\[ \frac{\partial L}{\partial z} = \operatorname{softmax}(z) - \mathbf{1}_{y} \]
\[ \frac{\partial L}{\partial z} = \frac{1}{N}(\operatorname{softmax}(z) + \operatorname{onehot}(y)) \]
\[ \frac{\partial L}{\partial z_{ik}} = \frac{1}{N}(\operatorname{softmax}(z)_{ik} - \operatorname{onehot}(y_i)_k) \]
