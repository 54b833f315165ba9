/**
 * The few ways in which this page writes to its document. Texts go in as text nodes only: what a group calls itself
 * must not become markup.
 */

const SVG = 'http://www.w3.org/2000/svg';

/** @typedef {Node | string} Child */

/**
 * The element with this id in index.html, of the class that the caller needs.
 * @template {Element} T
 * @param {string} id
 * @param {new () => T} kind
 * @returns {T}
 */
export function byId(id, kind) {
  const found = document.getElementById(id);
  if (!(found instanceof kind)) throw new Error(`index.html has no ${kind.name} #${id}`);
  return found;
}

/**
 * A new element; attributes that are null are left out.
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {Readonly<Record<string, string | null>>} [attributes]
 * @param {readonly Child[]} [children]
 * @returns {HTMLElementTagNameMap[K]}
 */
export function element(tag, attributes = {}, children = []) {
  const made = document.createElement(tag);
  setAttributes(made, attributes);
  made.append(...children);
  return made;
}

/**
 * The same for parts of a drawing.
 * @param {string} tag
 * @param {Readonly<Record<string, string | number | null>>} [attributes]
 * @param {readonly Child[]} [children]
 */
export function drawn(tag, attributes = {}, children = []) {
  const made = document.createElementNS(SVG, tag);
  setAttributes(made, attributes);
  made.append(...children);
  return made;
}

/**
 * @param {Element} target
 * @param {Readonly<Record<string, string | number | null>>} attributes
 */
function setAttributes(target, attributes) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null) target.setAttribute(name, String(value));
  }
}

/**
 * Writes a text where it differs, so that nothing is selected anew or announced again without need.
 * @param {Element} target
 * @param {string} text
 */
export function setText(target, text) {
  if (target.textContent !== text) target.textContent = text;
}

/**
 * Shows the text, or hides the element where there is none.
 * @param {HTMLElement} target
 * @param {string} text
 */
export function showText(target, text) {
  setText(target, text);
  target.hidden = text === '';
}

/**
 * Moves a bar; `max` at least 1.
 * @param {HTMLProgressElement} bar
 * @param {number} value
 * @param {number} max
 */
export function setBar(bar, value, max) {
  bar.max = Math.max(1, max);
  bar.value = Math.min(value, bar.max);
}

/**
 * Children of each parent by key.
 * @type {WeakMap<Element, Map<string, HTMLElement>>}
 */
const known = new WeakMap();

/**
 * Makes a parent's children one per item, in order, and keeps the element of an item that stays: focus, selection and
 * an open question survive an update. Items with equal keys are told apart by their order.
 * @template T
 * @param {Element} parent
 * @param {readonly T[]} items
 * @param {{ key: (item: T) => string, create: (item: T) => HTMLElement, update?: (element: HTMLElement, item: T) => void }} how
 */
export function keyed(parent, items, { key, create, update }) {
  const before = known.get(parent) ?? new Map();
  const now = new Map();
  for (const item of items) {
    let name = key(item);
    while (now.has(name)) name += ' again';
    const child = before.get(name) ?? create(item);
    update?.(child, item);
    now.set(name, child);
  }
  for (const [name, child] of before) if (!now.has(name)) child.remove();
  let place = parent.firstElementChild;
  for (const child of now.values()) {
    if (child === place) place = child.nextElementSibling;
    else parent.insertBefore(child, place);
  }
  known.set(parent, now);
}
