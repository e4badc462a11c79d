// Reads server-sent events from an answer of fetch. It must not know what an event means.

const BLANK_LINE = /\r\n\r\n|\n\n|\r\r/;
const LINE_END = /\r\n|\n|\r/;

// Calls onEvent(name, id, data) for each event, the data as JSON, and onBytes() whenever something arrives. Returns at the end.
export async function readEvents(response, { onEvent, onBytes = () => {} }) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    onBytes();
    const blocks = (rest + value).split(BLANK_LINE);
    rest = blocks.pop();
    for (const block of blocks) deliver(block, onEvent);
  }
}

function deliver(block, onEvent) {
  const fields = {};
  for (const line of block.split(LINE_END)) {
    const colon = line.indexOf(":");
    if (colon > 0) fields[line.slice(0, colon)] = line.slice(colon + 1).replace(/^ /, "");
  }
  if (fields.event) onEvent(fields.event, fields.id, JSON.parse(fields.data));
}
