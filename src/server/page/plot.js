import { drawn, element, keyed, setText } from './dom.js';
import { drawPlot, markAt } from './drawing.js';
import { describe, legendOf, TABLE_ROWS, tableOf } from './plot-parts.js';

/** @typedef {import('./drawing.js').PlotSpec} PlotSpec */
/** @typedef {import('./drawing.js').Row} Row */

/** Keys that move the chosen round, and by how many rounds. */
const STEPS = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -10, PageUp: 10 };

/** @type {Row} */
const EMPTY_ROW = { round: 0, values: [] };

/** A figure that shows rows by round, lets pointer and keys choose a round, and has the same numbers as a table. */
export class Plot {
  #spec;
  /** @type {readonly Row[]} */
  #rows = [];
  #rounds = 0;
  /** The round that is pointed at; null shows the last. @type {number | null} */
  #chosen = null;
  /** @type {ReturnType<typeof drawPlot> | null} */
  #drawing = null;
  #drawnAs = '';
  #legend;
  #canvas;
  #empty;
  #numbers;
  #body = element('tbody');

  /**
   * @param {Element} host
   * @param {PlotSpec} spec
   */
  constructor(host, spec) {
    this.#spec = spec;
    this.#legend = legendOf(spec);
    this.#canvas = element('div', { class: 'canvas' });
    this.#empty = element('p', { class: 'nothing' }, [spec.empty]);
    this.#numbers = tableOf(spec, this.#body);
    const caption = element('figcaption', {}, [element('strong', {}, [spec.title]), spec.reading]);
    host.append(element('figure', {}, [caption, this.#legend, this.#canvas, this.#empty, this.#numbers]));
    this.#listen();
  }

  /**
   * @param {readonly Row[]} rows ascending; rounds without any value are left out
   * @param {number} rounds of the whole run
   * @param {string | null} [empty] what is said where there is nothing to draw, in place of the plot's own words
   */
  show(rows, rounds, empty = null) {
    setText(this.#empty, empty ?? this.#spec.empty);
    this.#rows = rows.filter(({ values }) => values.some((value) => value !== null));
    this.#rounds = rounds;
    this.#empty.hidden = this.#rows.length > 0;
    this.#legend.hidden = this.#canvas.hidden = this.#numbers.hidden = this.#rows.length === 0;
    this.#draw();
    this.#fillTable();
  }

  #listen() {
    new ResizeObserver(() => this.#draw()).observe(this.#canvas);
    this.#canvas.addEventListener('pointermove', (event) => this.#choose(this.#roundAt(event.offsetX)));
    this.#canvas.addEventListener('pointerdown', (event) => this.#choose(this.#roundAt(event.offsetX)));
    this.#canvas.addEventListener('pointerleave', () => this.#choose(null));
    this.#canvas.addEventListener('blur', () => this.#choose(null));
    this.#canvas.addEventListener('keydown', (event) => this.#move(event));
    this.#numbers.addEventListener('toggle', () => this.#fillTable());
  }

  /** @param {KeyboardEvent} event */
  #move(event) {
    const from = this.#rows.indexOf(this.#row() ?? { round: 0, values: [] });
    const step = STEPS[/** @type {keyof typeof STEPS} */ (event.key)];
    const ends = { Home: 0, End: this.#rows.length - 1 };
    const to = step === undefined ? ends[/** @type {keyof typeof ends} */ (event.key)] : from + step;
    if (to === undefined) return;
    event.preventDefault();
    this.#choose(this.#rows[Math.max(0, Math.min(this.#rows.length - 1, to))]?.round ?? null);
  }

  /** @param {number} x in px from the left of the canvas */
  #roundAt(x) {
    const far = (/** @type {Row} */ row) => Math.abs((this.#drawing?.frame.x(row.round) ?? 0) - x);
    return this.#rows.reduce((best, row) => (far(row) < far(best) ? row : best), this.#rows[0] ?? EMPTY_ROW)
      .round;
  }

  /** @param {number | null} round */
  #choose(round) {
    if (round === this.#chosen) return;
    this.#chosen = round;
    this.#point();
  }

  #row() {
    return this.#rows.find(({ round }) => round === this.#chosen) ?? this.#rows.at(-1);
  }

  #draw() {
    const { clientWidth: width, clientHeight: height } = this.#canvas;
    if (width === 0 || this.#rows.length === 0) return;
    const as = JSON.stringify([width, height, this.#rounds, this.#rows]);
    if (as === this.#drawnAs) return;
    this.#drawnAs = as;
    this.#drawing = drawPlot(this.#spec, this.#rows, this.#rounds, { width, height });
    this.#canvas.replaceChildren(this.#drawing.svg);
    this.#point();
  }

  /** Shows the values of the chosen round, in the legend and to screen readers, and marks them in the drawing. */
  #point() {
    const row = this.#row();
    if (row === undefined) return;
    const texts = this.#spec.series.map((_, i) => this.#spec.format(row.values[i]));
    this.#legend.querySelectorAll('.figure').forEach((figure, i) => {
      setText(figure, texts[i] ?? '');
    });
    const at = this.#legend.querySelector('.at');
    if (at !== null) setText(at, `round ${row.round}`);
    const spoken = this.#spec.series.map(({ name }, i) => `${name} ${texts[i]}`).join(', ');
    describe(this.#canvas, this.#spec.title, this.#rows, row.round, `round ${row.round}: ${spoken}`);
    this.#mark(this.#chosen === null ? undefined : row);
  }

  /** @param {Row | undefined} row */
  #mark(row) {
    if (this.#drawing === null) return;
    const { frame, over } = this.#drawing;
    over.replaceChildren();
    if (row === undefined) return;
    const x = frame.x(row.round);
    const marks = this.#spec.series.flatMap(({ style }, i) => {
      const value = row.values[i] ?? null;
      if (value === null || this.#spec.kind === 'columns') return [];
      return [drawn('g', { class: style }, [markAt(style, x, frame.y(value))])];
    });
    const width = this.#spec.kind === 'columns' ? frame.column : 1;
    const rule = { class: 'rule', x: x - width / 2, y: frame.top, width, height: frame.bottom - frame.top };
    over.append(drawn('rect', rule), ...marks);
  }

  /** Only while it is open: four closed tables of a thousand rounds would be most of the page. */
  #fillTable() {
    if (!this.#numbers.open) return;
    const { format } = this.#spec;
    keyed(this.#body, this.#rows.slice(-TABLE_ROWS).reverse(), {
      key: ({ round, values }) => `${round} ${values.join(' ')}`,
      create: ({ round, values }) =>
        element('tr', {}, [
          element('th', { scope: 'row' }, [String(round)]),
          ...values.map((value) => element('td', {}, [format(value)])),
        ]),
    });
  }
}
