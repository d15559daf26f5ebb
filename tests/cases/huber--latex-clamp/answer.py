% exercise: huber

\[ \frac{\partial L}{\partial r} = \operatorname{clamp}(r, -\delta, \delta) \]
\[ \frac{\partial L}{\partial r_i} = \operatorname{clip}(r_i, -\delta, \delta) \]
\[ \frac{\partial L}{\partial r_i} = \operatorname{clip}(r_i, 0, \delta) \]
\[ \frac{\partial L}{\partial r_i} = \operatorname{clip}(r_i, \delta) \]
