# exercise: lstm-cell
dct = dcn + dhn*o*(1 - np.tanh(s)**2)
dc = dct*f
da = np.hstack((dct*g*i*(1 - i), dct*c*f*(1 - f), dhn*np.tanh(s)*o*(1 - o), dct*i*(1 - g**2)))
Wx = np.hstack((Wi, Wf, Wo, Wg))
Wh = np.hstack((Ui, Uf, Uo, Ug))
dx = da.dot(Wx.T)
dh = da.dot(Wh.T)
dWx = x.T.dot(da)
dWh = h.T.dot(da)
db = da.sum(axis=0)
dWi, dWf, dWo, dWg = np.split(dWx, 4, axis=1)
dUi, dUf, dUo, dUg = np.split(dWh, 4, axis=1)
dbi, dbf, dbo, dbg = np.split(db, 4)
