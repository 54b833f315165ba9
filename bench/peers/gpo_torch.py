"""
Our own PyTorch implementation of the GPO predictor of PluralLLM, the peer of `npm run bench -- engine`.

It is only a yardstick: what a careful user writes with plain PyTorch 2.x, eager, float32, on a CPU. The maths
is that of src/predictor/gpo, and `check` holds it against the same reference vectors; the product does not
use it. As in the published code, an attention mask lets every row see the context rows only, keys and values
are computed for every row, and every layer is computed for all rows.

Run with `python3 bench/peers/gpo_torch.py`: one JSON request per line on stdin, one JSON answer per line on
stdout, until the end of the input; a failed request is answered with {"error": ...}. Needs torch and the
standard library.

  {"do": "about"}                             version of torch, threads
  {"do": "threads", "count"}                  threads of torch and of the BLAS that it calls
  {"do": "make", "width", "options", "seed"}  a predictor for feature vectors of that width
  {"do": "steps", ...}                        times of training steps; sizes in points
  {"do": "evaluate", ...}                     times of predictions; context in points, targets in questions
  {"do": "experiment", ...}                   time of a federated run; sizes in questions
  {"do": "check", "vectors"}                  errors relative to a file of test/vectors
"""

from __future__ import annotations

import ctypes
import json
import math
import re
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

LEARNING_RATE = 3e-4

Json = dict[str, Any]
State = dict[str, Tensor]


@dataclass(frozen=True)
class Options:
    """Options of the transformer, with the defaults of src/predictor/gpo/options.ts."""

    width: int = 128
    layers: int = 6
    heads: int = 4
    feedforward: int = 128
    embedder_layers: int = 4
    norm: str = 'post'
    loss: str = 'nll'
    std_floor: float = 0.01
    identical_layers: bool = False

    @staticmethod
    def parse(raw: Json) -> Options:
        """From the names of our TypeScript options."""
        return Options(**{re.sub('[A-Z]', lambda m: '_' + m[0].lower(), name): raw[name] for name in raw})


class Points(NamedTuple):
    """Points of one group: one per answer option of some questions."""

    features: Tensor
    """[n, F]"""
    shares: Tensor
    """[n]"""
    questions: Tensor
    """[n], int64: index of each point's question"""
    question_count: int


class Task(NamedTuple):
    """Of one group: what it tells about itself, and what is to be predicted."""

    context: Points
    target: Points


class Prediction(NamedTuple):
    """Of each target point, [T]."""

    log_probabilities: Tensor
    log_std: Tensor


# The predictor


def embedder_of(options: Options, feature_width: int) -> nn.Sequential:
    modules: list[nn.Module] = [nn.Linear(feature_width + 1, options.width)]
    for _ in range(options.embedder_layers - 1):
        modules += [nn.ReLU(), nn.Linear(options.width, options.width)]
    return nn.Sequential(*modules)


def encoder_layer_of(options: Options) -> nn.TransformerEncoderLayer:
    return nn.TransformerEncoderLayer(
        options.width,
        options.heads,
        options.feedforward,
        dropout=0.0,
        batch_first=True,
        norm_first=options.norm == 'pre',
    )


def encoder_of(options: Options) -> nn.TransformerEncoder:
    norm = nn.LayerNorm(options.width) if options.norm == 'pre' else None
    layer = encoder_layer_of(options)
    encoder = nn.TransformerEncoder(layer, options.layers, norm, enable_nested_tensor=False)
    if not options.identical_layers:
        encoder.layers = nn.ModuleList(encoder_layer_of(options) for _ in range(options.layers))
    return encoder


def tokens_of(task: Task) -> Tensor:
    """(feature, share) of all points [C + T, F + 1], context first; the share of a target is 0."""
    context, target = task
    features = torch.cat([context.features, target.features])
    shares = torch.cat([context.shares, torch.zeros_like(target.shares)])
    return torch.cat([features, shares[:, None]], dim=1)


def context_mask(rows: int, context_rows: int) -> Tensor:
    """True where a row must not look: at every target, itself included. [rows, rows]"""
    mask = torch.ones(rows, rows, dtype=torch.bool)
    mask[:, :context_rows] = False
    return mask


def question_log_softmax(scores: Tensor, points: Points) -> Tensor:
    """Log softmax of scores [T] within each question."""
    lowest = scores.new_full((points.question_count,), -math.inf)
    highest = lowest.scatter_reduce(0, points.questions, scores.detach(), 'amax')
    shifted = scores - highest[points.questions]
    totals = scores.new_zeros(points.question_count).index_add(0, points.questions, shifted.exp())
    return shifted - totals.log()[points.questions]


class Gpo(nn.Module):
    """The transformer; its parameters have the names and shapes of src/predictor/gpo/parameters.ts."""

    def __init__(self, options: Options, feature_width: int) -> None:
        super().__init__()
        self.embedder = embedder_of(options, feature_width)
        self.encoder = encoder_of(options)
        self.predictor = nn.Sequential(
            nn.Linear(options.width, options.feedforward), nn.ReLU(), nn.Linear(options.feedforward, 2)
        )

    def forward(self, task: Task) -> Prediction:
        tokens = tokens_of(task)
        context_rows = len(task.context.shares)
        mask = context_mask(len(tokens), context_rows)
        hidden = self.encoder(self.embedder(tokens[None]), mask=mask, is_causal=False)
        location, log_std = self.predictor(hidden[0, context_rows:]).unbind(1)
        return Prediction(question_log_softmax(location, task.target), log_std)


def loss_of(prediction: Prediction, target: Points, options: Options) -> Tensor:
    """Gaussian negative log-likelihood, mean over points, or KL divergence, mean over questions."""
    if options.loss == 'kl':
        divergence = functional.kl_div(prediction.log_probabilities, target.shares, reduction='sum')
        return divergence / target.question_count
    log_std = prediction.log_std
    if options.std_floor > 0:
        log_std = log_std.clamp(min=math.log(options.std_floor))
    error = (target.shares - prediction.log_probabilities.exp()) / log_std.exp()
    return (0.5 * error.square() + log_std).mean() + 0.5 * math.log(2 * math.pi)


# The session


@dataclass
class Predictor:
    """What `make` makes: a model, the optimiser that `steps` keeps, and the shapes that have been run."""

    options: Options
    feature_width: int
    model: Gpo
    optimiser: torch.optim.Adam
    generator: torch.Generator
    warm: set[tuple[Any, ...]] = field(default_factory=set)


@dataclass
class Session:
    """All that outlives a request."""

    made: Predictor | None = None

    def predictor(self) -> Predictor:
        if self.made is None:
            raise ValueError('no predictor yet: send a "make" request first')
        return self.made


def milliseconds(action: Callable[[], Any]) -> float:
    start = time.perf_counter()
    action()
    return 1000 * (time.perf_counter() - start)


def warm_up(predictor: Predictor, shape: tuple[Any, ...], action: Callable[[], Any]) -> None:
    """Runs an action once, off the clock, if its shape is new."""
    if shape not in predictor.warm:
        action()
        predictor.warm.add(shape)


def random_points(predictor: Predictor, count: int, options_per_question: int) -> Points:
    """Gaussian features and random shares that add up to 1; the last question may have fewer options."""
    features = torch.randn(count, predictor.feature_width, generator=predictor.generator)
    questions = torch.arange(count) // options_per_question
    question_count = math.ceil(count / options_per_question)
    points = Points(features, torch.zeros(count), questions, question_count)
    scores = torch.randn(count, generator=predictor.generator)
    return points._replace(shares=question_log_softmax(scores, points).exp())


# Requests: about, threads, make


def loaded_blas() -> list[str]:
    """Paths of the BLAS libraries in this process, where the system tells."""
    maps = Path('/proc/self/maps')
    if not maps.exists():
        return []
    return sorted(set(re.findall(r'/\S*blas\S*\.so\S*', maps.read_text())))


def limit_blas(count: int) -> None:
    """torch.set_num_threads does not reach an OpenBLAS with threads of its own, as under Debian's torch."""
    for path in loaded_blas():
        setter = getattr(ctypes.CDLL(path), 'openblas_set_num_threads', None)
        if setter is not None:
            setter(count)


def about(_session: Session, _request: Json) -> Json:
    return {'torch': torch.__version__, 'threads': torch.get_num_threads()}


def set_threads(session: Session, request: Json) -> Json:
    torch.set_num_threads(request['count'])
    limit_blas(request['count'])
    if session.made is not None:
        session.made.warm.clear()
    return {'threads': torch.get_num_threads()}


def make(session: Session, request: Json) -> Json:
    seed = request.get('seed', 0)
    torch.manual_seed(seed)
    options = Options.parse(request.get('options', {}))
    model = Gpo(options, request['width'])
    optimiser = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE)
    generator = torch.Generator().manual_seed(seed)
    session.made = Predictor(options, request['width'], model, optimiser, generator)
    return {'parameters': sum(parameter.numel() for parameter in model.parameters())}


# Request: steps


def gradients(predictor: Predictor, task: Task) -> Tensor:
    """Forward and backward; the loss."""
    loss = loss_of(predictor.model(task), task.target, predictor.options)
    loss.backward()
    return loss


def training_step(predictor: Predictor, optimiser: torch.optim.Optimizer, task: Task) -> Tensor:
    optimiser.zero_grad()
    loss = gradients(predictor, task)
    optimiser.step()
    return loss


def steps(session: Session, request: Json) -> Json:
    predictor = session.predictor()
    per_question, optimise = request['options_per_question'], request['optimise']
    sizes = (request['context'], request['target'])
    task = Task(*(random_points(predictor, size, per_question) for size in sizes))
    losses: list[float] = []

    def step() -> None:
        if optimise:
            losses.append(training_step(predictor, predictor.optimiser, task).item())
        else:
            losses.append(gradients(predictor, task).item())

    def timed_step() -> float:
        predictor.optimiser.zero_grad()
        return milliseconds(step)

    predictor.model.train()
    warm_up(predictor, ('steps', *sizes, per_question, optimise), timed_step)
    return {'ms': [timed_step() for _ in range(request['steps'])], 'loss': losses[-1]}


# Request: evaluate


def single_questions(points: Points) -> list[Points]:
    """Each question's points by themselves."""
    selections = [points.questions == question for question in range(points.question_count)]
    return [
        Points(points.features[chosen], points.shares[chosen], torch.zeros_like(points.questions[chosen]), 1)
        for chosen in selections
    ]


@torch.inference_mode()
def predict(predictor: Predictor, tasks: list[Task]) -> list[Tensor]:
    """Predicted shares of each task's targets, with one forward pass per task."""
    return [predictor.model(task).log_probabilities.exp() for task in tasks]


def evaluate(session: Session, request: Json) -> Json:
    predictor = session.predictor()
    per_question, batched = request['options_per_question'], request['batched']
    context = random_points(predictor, request['context'], per_question)
    target = random_points(predictor, request['questions'] * per_question, per_question)
    tasks = [Task(context, part) for part in ([target] if batched else single_questions(target))]
    predictor.model.eval()
    shape = ('evaluate', request['context'], request['questions'], per_question, batched)
    warm_up(predictor, shape, lambda: predict(predictor, tasks))
    return {'ms': [milliseconds(lambda: predict(predictor, tasks)) for _ in range(request['repeats'])]}


# Request: experiment


class Survey(NamedTuple):
    """Random answers: features [questions, options, F] and shares [groups, questions, options]."""

    features: Tensor
    shares: Tensor

    def points(self, group: int, questions: Tensor) -> Points:
        """A group's points of the questions with these indices."""
        count, options = len(questions), self.shares.shape[2]
        index = torch.arange(count).repeat_interleave(options)
        features = self.features[questions].flatten(0, 1)
        return Points(features, self.shares[group, questions].flatten(), index, count)

    def draw(self, group: int, context: int, target: int, generator: torch.Generator) -> Task:
        """A group's task with random questions."""
        order = torch.randperm(len(self.features), generator=generator)
        ends = self.points(group, order[:context]), self.points(group, order[context : context + target])
        return Task(*ends)


def random_survey(predictor: Predictor, request: Json) -> Survey:
    evaluated = request['evaluation_context'] + request['evaluation_targets']
    questions = max(evaluated, request['context'][1] + request['target'][1])
    groups = max(request['groups'], request['evaluated_groups'])
    options, generator = request['options_per_question'], predictor.generator
    features = torch.randn(questions, options, predictor.feature_width, generator=generator)
    return Survey(features, torch.randn(groups, questions, options, generator=generator).softmax(2))


def uniform(bounds: list[int], generator: torch.Generator) -> int:
    """An integer between the bounds, both included."""
    return int(torch.randint(bounds[0], bounds[1] + 1, (), generator=generator))


def state_of(model: nn.Module) -> State:
    return {name: values.clone() for name, values in model.state_dict().items()}


def train_group(predictor: Predictor, survey: Survey, group: int, start: State, request: Json) -> State:
    """A group's local steps from the global state, with a fresh Adam; its new state."""
    predictor.model.load_state_dict(start)
    optimiser = torch.optim.Adam(predictor.model.parameters(), lr=LEARNING_RATE)
    for _ in range(request['local_steps']):
        sizes = (uniform(request[side], predictor.generator) for side in ('context', 'target'))
        training_step(predictor, optimiser, survey.draw(group, *sizes, predictor.generator))
    return state_of(predictor.model)


def federated_round(predictor: Predictor, survey: Survey, state: State, request: Json) -> State:
    predictor.model.train()
    states = [train_group(predictor, survey, group, state, request) for group in range(request['groups'])]
    return {name: torch.stack([each[name] for each in states]).mean(0) for name in state}


def alignment(predicted: Tensor, truth: Tensor) -> float:
    """1 - Jensen-Shannon distance of distributions [questions, options], mean over questions."""
    middle = 0.5 * (predicted + truth)
    parts = [(torch.xlogy(side, side) - torch.xlogy(side, middle)).sum(1) for side in (predicted, truth)]
    return float((1 - (0.5 * (parts[0] + parts[1])).clamp(min=0).sqrt()).mean())


def evaluate_groups(predictor: Predictor, survey: Survey, state: State, request: Json) -> list[float]:
    """Mean score of each group over random contexts."""
    predictor.model.load_state_dict(state)
    predictor.model.eval()
    scores = []
    for group in range(request['evaluated_groups']):
        total = 0.0
        for _ in range(request['draws']):
            sizes = request['evaluation_context'], request['evaluation_targets']
            task = survey.draw(group, *sizes, predictor.generator)
            (predicted,) = predict(predictor, [task])
            shape = (task.target.question_count, -1)
            total += alignment(predicted.view(shape), task.target.shares.view(shape))
        scores.append(total / request['draws'])
    return scores


def experiment(session: Session, request: Json) -> Json:
    """Federated averaging (FedAvg) with Adam at the groups, scored every so many rounds."""
    predictor = session.predictor()
    survey = random_survey(predictor, request)
    state = state_of(predictor.model)
    train = evaluation = 0.0
    start = time.perf_counter()
    for number in range(1, request['rounds'] + 1):
        begin = time.perf_counter()
        state = federated_round(predictor, survey, state, request)
        end = time.perf_counter()
        train += end - begin
        if number % request['evaluate_every'] == 0 or number == request['rounds']:
            evaluate_groups(predictor, survey, state, request)
            evaluation += time.perf_counter() - end
    return {'seconds': time.perf_counter() - start, 'train': train, 'evaluate': evaluation}


# Request: check


def vector_options(config: Json) -> Options:
    """Sizes of a file of reference figures, which leave the variance unbounded."""
    return Options(
        width=config['d_model'],
        layers=config['num_layers'],
        heads=config['nhead'],
        feedforward=config['dim_feedforward'],
        embedder_layers=config['emb_depth'],
        norm=config['norm'],
        std_floor=0,
    )


def vector_points(raw: Json) -> Points:
    lengths = torch.tensor(raw['question_lengths'])
    questions = torch.arange(len(lengths)).repeat_interleave(lengths)
    return Points(torch.tensor(raw['x']), torch.tensor(raw['y']), questions, len(lengths))


def relative_error(values: Tensor, reference: list[float]) -> float:
    """Relative L2 distance; absolute where the reference is zero throughout."""
    expected = torch.tensor(reference, dtype=torch.float64)
    size = expected.norm().item()
    return (values.detach().double().flatten() - expected).norm().item() / (size if size > 0 else 1)


def check(_session: Session, request: Json) -> Json:
    vectors = request['vectors']
    options = vector_options(vectors['config'])
    model = Gpo(options, vectors['config']['dim_x'])
    shapes = model.state_dict()
    given = vectors['parameters']
    model.load_state_dict({name: torch.tensor(given[name]).view_as(shapes[name]) for name in given})
    task = Task(vector_points(vectors['context']), vector_points(vectors['target']))
    loss = loss_of(model(task), task.target, options)
    loss.backward()
    errors = [relative_error(p.grad, vectors['gradients'][name]) for name, p in model.named_parameters()]
    model.eval()
    with torch.inference_mode():
        probabilities = model(task).log_probabilities.exp()
    return {
        'loss': relative_error(loss, vectors['losses'][:1]),
        'gradients': max(errors),
        'probabilities': relative_error(probabilities, vectors['predicted']['probabilities']),
    }


# The process

REQUESTS: dict[str, Callable[[Session, Json], Json]] = {
    'about': about,
    'threads': set_threads,
    'make': make,
    'steps': steps,
    'evaluate': evaluate,
    'experiment': experiment,
    'check': check,
}


def answer(session: Session, line: str) -> Json:
    try:
        request = json.loads(line)
        return REQUESTS[request['do']](session, request)
    except Exception as thrown:  # whatever it is, whoever asked must hear of it
        return {'error': f'{type(thrown).__name__}: {thrown}'}


def main() -> None:
    torch.set_num_interop_threads(1)
    # Its fused encoder layer for inference is slower on a CPU than the layer's plain path, by up to a half.
    torch.backends.mha.set_fastpath_enabled(False)
    session = Session()
    for line in sys.stdin:
        if line.strip():
            print(json.dumps(answer(session, line)), flush=True)


if __name__ == '__main__':
    main()
