# exercise: huber
dr = r.clamp(-delta, delta)
dx = torch.where((x - y).abs() <= delta, x - y, delta*torch.sign(x - y))
