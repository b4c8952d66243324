// The checkout of the sandbox: shows what is to be paid, and says with which card.

const byId = (id) => document.getElementById(id);
const path = `v1/sandbox/checkouts/${encodeURIComponent(location.pathname.split("/").pop())}`;

const ENDS = { paid: "Paid. The coins come in a moment.", closed: "This checkout is over." };

async function ask(step, body) {
  const answer = await fetch(new URL(path + step, document.baseURI), {
    method: body ? "POST" : "GET",
    headers: { "Content-Type": "application/json" },
    body: body && JSON.stringify(body),
  });
  const said = await answer.json();
  if (!answer.ok) {
    byId("said").textContent = said.detail;
    return;
  }
  show(said);
}

function price(said) {
  const format = new Intl.NumberFormat(undefined, { style: "currency", currency: said.currency });
  return format.format(said.amount / 10 ** format.resolvedOptions().maximumFractionDigits);
}

function show(said) {
  byId("what").textContent = `${said.label}: ${price(said)}`;
  const cards = byId("pay").elements.card;
  if (!cards.options.length) cards.append(...said.cards.map((card) => new Option(card.label, card.number)));
  byId("pay").hidden = said.status !== "open";
  byId("confirm").hidden = said.status !== "confirm";
  byId("said").textContent = said.refused || ENDS[said.status] || "";
  byId("back").hidden = !said.return_url;
  byId("back").href = said.return_url;
}

byId("pay").addEventListener("submit", (event) => {
  event.preventDefault();
  ask("/pay", { card: event.target.elements.card.value });
});
byId("confirm").addEventListener("submit", (event) => {
  event.preventDefault();
  ask("/confirm", { approved: true });
});
byId("refuse").addEventListener("click", () => ask("/confirm", { approved: false }));
byId("cancel").addEventListener("click", () => ask("/cancel", {}));
ask("");
