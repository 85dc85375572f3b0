/** Posting to another thread costs more than most of what is posted: what comes up in one turn of the loop goes in one piece, at its end. */
export function batched<Item>(post: (items: Item[]) => void): (item: Item) => void {
  let waiting: Item[] = [];
  return (item) => {
    waiting.push(item);
    if (waiting.length > 1) return;
    setImmediate(() => {
      const items = waiting;
      waiting = [];
      post(items);
    });
  };
}
