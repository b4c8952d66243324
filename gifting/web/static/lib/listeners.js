/** Who is told of what. */

/** @import { Event, LiveTotals, Snapshot, UserEvent } from "./protocol.js" */
/** @import { GiftingError, State } from "./connection.js" */

/**
 * What a listener is called with:
 * - `state`: of the connection
 * - `snapshot`: after each join; with `gap` or `first`, start anew from it
 * - `event`: in order; a numbered event never twice
 * - `totals`: of a room on lane `live`
 * - `user`: what concerns the token's user and no room
 * - `refused`: a join that failed
 * @typedef {object} Told
 * @property {State} state
 * @property {{room: string, snapshot: Snapshot, gap: boolean, first: boolean}} snapshot
 * @property {{room: string, event: Exclude<Event, UserEvent>}} event
 * @property {{room: string, totals: LiveTotals}} totals
 * @property {{event: UserEvent}} user
 * @property {{room: string, error: GiftingError}} refused
 */

export class Listeners {
  /** @type {Map<string, Set<(told: any) => void>>} */
  #listeners = new Map();

  /**
   * @template {keyof Told} Type
   * @param {Type} type
   * @param {(told: Told[Type]) => void} listener
   * @returns {() => void} stops it
   */
  add(type, listener) {
    const listeners = this.#listeners.get(type) ?? new Set();
    this.#listeners.set(type, listeners.add(listener));
    return () => void listeners.delete(listener);
  }

  /**
   * A listener that throws must not stop the others, nor lose the events after it.
   * @template {keyof Told} Type
   * @param {Type} type
   * @param {Told[Type]} told
   */
  tell(type, told) {
    for (const listener of this.#listeners.get(type) ?? []) {
      try {
        listener(told);
      } catch (error) {
        reportError(error);
      }
    }
  }
}
