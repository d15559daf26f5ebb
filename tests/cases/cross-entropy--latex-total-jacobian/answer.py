# exercise: cross-entropy
\[\frac{\partial L}{\partial \mathrm{pick}_i} = -\frac{1}{N}\]
\[\frac{\partial L}{\partial \mathrm{logp}_{ic}} = -\frac{1}{N}\delta_{c y_i}\]
\[\frac{\partial \mathrm{logp}_{ic}}{\partial z_{ik}} = \delta_{ck} - \frac{e_{ik}}{s_i}\]
\[\frac{\partial L}{\partial z_{ik}} = \sum_c \frac{\partial L}{\partial \mathrm{logp}_{ic}} \frac{\partial \mathrm{logp}_{ic}}{\partial z_{ik}}\]

# exercise: cross-entropy
\[\frac{\partial \mathrm{logp}_{ic}}{\partial z_{ik}} = \delta_{ck} + \frac{e_{ik}}{s_i}\]
