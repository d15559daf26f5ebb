% exercise: word2vec-softmax

\[ \frac{\partial L}{\partial z} = p - \mathbf{1}_o \]
\[ \frac{\partial L}{\partial z} = p - \mathbb{1}_{o} \]
\[ \frac{\partial L}{\partial v} = U^\top (p - \mathbf{1}_o) \]

Not what was seen, but every word:

\[ \frac{\partial L}{\partial z} = p - \mathbf{1}_V \]
\[ \frac{\partial L}{\partial z} = p - \mathbf{1} \]

The length is not said:

\[ \frac{\partial L}{\partial z} = p - \mathbf{1}_w \]
