% exercise: batch-norm

\[ \frac{\partial L}{\partial \hat x_{ij}} = \frac{\partial L}{\partial y_{ij}} \gamma_j \]
\[ \frac{\partial L}{\partial \mathrm{var}_j} = -\frac12 \sum_i \frac{\partial L}{\partial \hat x_{ij}} (x_{ij} - \mu_j) (\mathrm{var}_j + 10^{-5})^{-3/2} \]
\[ \frac{\partial L}{\partial \mathrm{var}_j} = -\frac12 \sum_i \frac{\partial L}{\partial \hat x_{ij}} (x_{ij} - \mu_j) (\mathrm{var}_j + \epsilon)^{-3/2} \]
