% exercise: add-mul-gate

\[ \mathrm{d}f = z\,\mathrm{d}q + q\,\mathrm{d}z \]
\[ \frac{\partial f}{\partial q} = z, \quad \frac{\partial f}{\partial z} = q \]
\[ \frac{\partial f}{\partial x} = \frac{\partial f}{\partial q}, \quad \frac{\partial f}{\partial y} = \frac{\partial f}{\partial q} \]
