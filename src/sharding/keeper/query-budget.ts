import { misplaced } from '../frames/misplaced.ts';

/** Passes that groups may have had since a round began, by their public keys. */
export interface Spent {
  readonly round: number;
  readonly passes: readonly (readonly [group: string, passes: number])[];
}

/** What a keeper counts predictions with. */
export interface QueryBudgetSetup {
  /** Most passes for one group between two rounds. */
  readonly most: number;
  /** What was last stored; null where nothing was. */
  readonly spent: Spent | null;
  /** Stores what a keeper that is started again takes as spent, before anything is answered. */
  readonly store: (spent: Spent) => void;
}

/** A budget is stored as spent in so many parts: a keeper that is started again forgets no pass, and takes one part for spent that was not. */
const PARTS = 16;

/** Counts the passes of predictions that a keeper makes for each group between two rounds: who may ask without end can train a model of his own on the answers. */
export class QueryBudget {
  readonly #most: number;
  readonly #store: QueryBudgetSetup['store'];
  #round: number;
  readonly #passes = new Map<string, number>();
  /** As stored: never fewer than there were. */
  #stored: ReadonlyMap<string, number>;

  constructor({ most, spent, store }: QueryBudgetSetup) {
    this.#most = most;
    this.#store = store;
    this.#round = spent?.round ?? 0;
    this.#stored = new Map(spent?.passes);
    for (const [group, passes] of this.#stored) this.#passes.set(group, passes);
  }

  /** A round begins, and all budgets anew; not those of a round that a keeper begins again after it was started again. */
  begin(round: number): void {
    if (round <= this.#round) return;
    this.#round = round;
    this.#passes.clear();
    this.#stored = new Map();
  }

  /** Counts a pass for a group, before it is made. Errors: FRAME_REFUSED where it has had all; those of storing. */
  count(group: string): void {
    const passes = (this.#passes.get(group) ?? 0) + 1;
    if (passes > this.#most) throw misplaced('its group has had all predictions of this round');
    if (passes > (this.#stored.get(group) ?? 0)) {
      const part = Math.ceil(this.#most / PARTS);
      const stored = new Map([...this.#stored, [group, Math.min(passes - 1 + part, this.#most)]]);
      this.#store({ round: this.#round, passes: [...stored] });
      this.#stored = stored;
    }
    this.#passes.set(group, passes);
  }
}
