<!-- exercise: mse -->
First ~~$$\frac{\partial L}{\partial q_i} = 1$$~~, then

> $$
> \frac{\partial L}{\partial q_i}
> = \frac{1}{N}
> $$
>
> ```python
> dr = r / N
> ```

And, as code:

    dx = dr

dL = 1
