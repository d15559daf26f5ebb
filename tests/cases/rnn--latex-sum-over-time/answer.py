% exercise: rnn

\[ \frac{\partial L}{\partial W_x} = \sum_{t=1}^4 x_t^\top \frac{\partial L}{\partial a_t} \]
