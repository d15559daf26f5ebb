"""Small models that everyone knows, as they are written: what the tests import, and the benchmark."""

import torch
from torch import nn
from torch.nn import functional as F


class MLP(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc1 = nn.Linear(7, 6)
        self.fc2 = nn.Linear(6, 5)
        self.fc3 = nn.Linear(5, 3)

    def forward(self, x):
        h = torch.tanh(self.fc1(x))
        h = F.relu(self.fc2(h))
        return self.fc3(h)


class LeNet(nn.Module):
    """LeCun et al. 1998, with max pooling as it is taught now; `side` of 28, or 20 to be quick."""

    def __init__(self, side: int, classes: int = 10) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 6, 5, padding=2)
        self.conv2 = nn.Conv2d(6, 16, 5)
        left = (side // 2 - 4) // 2
        self.fc1 = nn.Linear(16 * left * left, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, classes)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        x = torch.flatten(x, 1)
        x = F.relu(self.fc1(x))
        x = F.relu(self.fc2(x))
        return self.fc3(x)


class Residual(nn.Module):
    """He et al. 2015: two convolutions with batch norm, and the input added."""

    def __init__(self, channels: int, inplace: bool = False) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU(inplace=inplace)

    def forward(self, x):
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        return self.relu(out + x)


class Downsampling(nn.Module):
    """A residual block that halves the image: the skip is a convolution of its own."""

    def __init__(self, inside: int, outside: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inside, outside, 3, stride=2, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outside)
        self.conv2 = nn.Conv2d(outside, outside, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outside)
        self.skip = nn.Sequential(nn.Conv2d(inside, outside, 1, stride=2, bias=False), nn.BatchNorm2d(outside))

    def forward(self, x):
        out = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(out)) + self.skip(x))


class UNet(nn.Module):
    """Ronneberger et al. 2015, one level: down, the bottom, up, and the skip beside it."""

    def __init__(self, inside: int, channels: int, classes: int) -> None:
        super().__init__()
        self.down1 = nn.Conv2d(inside, channels, 3, padding=1)
        self.down2 = nn.Conv2d(channels, channels, 3, padding=1)
        self.bottom = nn.Conv2d(channels, 2 * channels, 3, padding=1)
        self.up = nn.ConvTranspose2d(2 * channels, channels, 2, stride=2)
        self.merge = nn.Conv2d(2 * channels, channels, 3, padding=1)
        self.head = nn.Conv2d(channels, classes, 1)

    def forward(self, x):
        skip = F.relu(self.down2(F.relu(self.down1(x))))
        low = F.relu(self.bottom(F.max_pool2d(skip, 2)))
        joined = torch.cat([skip, self.up(low)], dim=1)
        return self.head(F.relu(self.merge(joined)))


class CharRNN(nn.Module):
    """Karpathy's char-rnn in its plainest form: characters in, a cell over time, scores of the next character."""

    def __init__(self, characters: int, width: int, hidden: int) -> None:
        super().__init__()
        self.emb = nn.Embedding(characters, width)
        self.cell = nn.RNNCell(width, hidden)
        self.head = nn.Linear(hidden, characters)

    def forward(self, idx, h):
        scores = []
        for t in range(idx.shape[1]):
            h = self.cell(self.emb(idx[:, t]), h)
            scores.append(self.head(h))
        return torch.stack(scores, 1)


class Block(nn.Module):
    """A block of GPT-2, as Karpathy's nanoGPT writes it."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.ln_1 = nn.LayerNorm(width)
        self.c_attn = nn.Linear(width, 3 * width)
        self.c_proj = nn.Linear(width, width)
        self.ln_2 = nn.LayerNorm(width)
        self.fc = nn.Linear(width, 4 * width)
        self.proj = nn.Linear(4 * width, width)

    def attention(self, x):
        B, T, C = x.shape
        q, k, v = self.c_attn(x).split(C, dim=2)
        q = q.view(B, T, self.heads, C // self.heads).transpose(1, 2)
        k = k.view(B, T, self.heads, C // self.heads).transpose(1, 2)
        v = v.view(B, T, self.heads, C // self.heads).transpose(1, 2)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.c_proj(y.transpose(1, 2).contiguous().view(B, T, C))

    def forward(self, x):
        x = x + self.attention(self.ln_1(x))
        return x + self.proj(F.gelu(self.fc(self.ln_2(x))))


class GPT(nn.Module):
    """Two blocks; one table reads the words and scores them. It returns its scores and, with targets, its loss."""

    def __init__(self, words: int, width: int, heads: int, positions: int, layers: int = 2) -> None:
        super().__init__()
        self.wte = nn.Embedding(words, width)
        self.wpe = nn.Embedding(positions, width)
        self.h = nn.ModuleList([Block(width, heads) for _ in range(layers)])
        self.ln_f = nn.LayerNorm(width)
        self.lm_head = nn.Linear(width, words, bias=False)
        self.lm_head.weight = self.wte.weight

    def forward(self, idx, targets):
        x = self.wte(idx) + self.wpe(torch.arange(idx.shape[1]))
        for block in self.h:
            x = block(x)
        logits = self.lm_head(self.ln_f(x))
        return logits, F.cross_entropy(logits.view(-1, logits.size(-1)), targets.view(-1))
