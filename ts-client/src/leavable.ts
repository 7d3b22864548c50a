/**
 * The generator, whose `return` does not wait for the event that is under way: `leave` has to end that. So a stream that is
 * made of this one is cancelled by it.
 */
export function leavable<Event>(
  events: AsyncGenerator<Event, void, undefined>,
  leave: () => void,
): AsyncGenerator<Event, void, undefined> {
  const end = events.return.bind(events);
  events.return = (value) => {
    leave();
    return end(value);
  };
  return events;
}
