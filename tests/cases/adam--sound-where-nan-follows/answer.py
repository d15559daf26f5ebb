# exercise: adam
dw = 2*(p - y)*x
m1 = (1 - beta1)*dw
v1 = (1 - beta2)*dw**2
w1 = w - eta*dw/(abs(dw) + eps)
g2 = 2*(w1*x - y)*x
m2 = beta1*m1 + (1 - beta1)*g2
v2 = -beta2*v1 - (1 - beta2)*g2**2
w2 = w1 - eta*(m2/(1 - beta1**2))/((v2/(1 - beta2**2)).sqrt() + eps)
