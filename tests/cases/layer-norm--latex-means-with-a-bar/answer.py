% exercise: layer-norm

\[ g_{ij} = \frac{\partial L}{\partial y_{ij}} \gamma_j \]
\[ \bar g_i = \frac1D \sum_j g_{ij} \]
\[ c_i = \frac1D \sum_j g_{ij} \hat x_{ij} \]
\[ \frac{\partial L}{\partial x_{ij}} = \mathrm{istd}_i \left(g_{ij} - \bar g_i - \hat x_{ij} c_i\right) \]
\[ \frac{\partial L}{\partial x_{ij}} = \mathrm{istd}_i \left(g_{ij} + \bar g_i - \hat x_{ij} c_i\right) \]

The gradient of g, or another name?

\[ \bar y_{ij} = 2 y_{ij} \]
