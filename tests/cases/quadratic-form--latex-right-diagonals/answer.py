# exercise: quadratic-form
\[\frac{\partial v_i}{\partial x_i} = A_{ii}\]

# exercise: attention
\[\frac{\partial P_{nm}}{\partial a_{nm}} = P_{nm}(1-P_{nm})\]

# exercise: layer-norm
\[\frac{\partial \hat x_{ij}}{\partial x_{ij}} = istd_i \left(1 - \frac{1}{D} - \frac{\hat x_{ij}^2}{D}\right)\]

# exercise: word2vec-softmax
\[\frac{\partial p_w}{\partial z_w} = p_w(1-p_w)\]

# exercise: cross-entropy
\[\frac{\partial \mathrm{logp}_{ik}}{\partial z_{ik}} = 1 - \frac{e_{ik}}{s_i}\]
