% exercise: quadratic-form

For $A_{ij} \neq A_{ji}$ (not symmetric) we obtain
\[ \nabla_x f = (A + A^\top) x \]

For $A_{ij} \neq A_{ji}$ (not symmetric) we obtain
\[ \nabla_x f = 2 A x \]
