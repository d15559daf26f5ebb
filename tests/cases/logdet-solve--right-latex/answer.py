# exercise: logdet-solve

$$\frac{\partial L}{\partial x} = \frac{1}{2} b$$

$$\frac{\partial L}{\partial b} = \frac{1}{2}(A^{-1} + A^{-T}) b$$

$$\frac{\partial L}{\partial A} = \frac{1}{2}\left(A^{-\top} - A^{-\top} b b^\top A^{-\top}\right)$$
