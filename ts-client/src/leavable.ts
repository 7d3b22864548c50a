/**
 * The generator, whose `return` and `throw` do not wait for the event that is under way: `leave` has to end that. So a stream
 * that is made of this one is cancelled by it. Node's streams call `throw` where their reader has failed.
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
  events.throw = async (error) => {
    leave();
    await end();
    throw error;
  };
  return events;
}
