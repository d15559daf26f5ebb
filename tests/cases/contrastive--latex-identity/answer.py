% exercise: contrastive

\[ \frac{\partial L}{\partial S} = \frac{1}{2N}(p + q - 2 \mathbb{I}) \]
\[ \frac{\partial L}{\partial S} = \frac{1}{2N}(p + q - 2 I) \]
\[ \frac{\partial L}{\partial S} = \frac{p + q}{2N} - \frac{1}{N} \mathbf{I}_N \]
\[ \frac{\partial L}{\partial S_{ij}} = \frac{1}{2N}(p_{ij} + q_{ij} - 2 \mathbb{I}[i = j]) \]
\[ \frac{\partial L}{\partial S} = \frac{1}{2N}(p + q - 2 \mathbb{1}) \]
\[ \frac{\partial L}{\partial S} = \frac{1}{2N}(p + q - \mathbb{I}) \]
\[ \frac{\partial L}{\partial S_{ij}} = \frac{1}{2N}(p_{ij} + q_{ij} - 2 \mathbb{I}) \]
