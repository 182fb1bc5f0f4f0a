/** The page of the racecourse: shows the state that `/live` sends, and asks the server to bet. */
import { Track } from "./track.js";

const at = (id) => document.getElementById(id);
const format = new Intl.NumberFormat("en");

let state;
let track;
/** The finished race that is on show, by number; 0 for none. */
let shown = 0;
/** Whether a race is being run on the page: what would tell its outcome is not shown before its end. */
let running = false;
/** Sends that are under way, so that nobody bets twice by a double click. */
let sending = false;

function show(next) {
  const before = state;
  state = next;
  track ??= new Track(at("lanes"), state.horses);
  const { chain, contract, problem, players, race } = state;
  if (race !== undefined) showRace(race, before?.race);
  if (!running) showOutcome();
  setText("height", chain === undefined ? "–" : format.format(chain.height));
  const ready = race?.bets.filter((bet) => bet.ready).length ?? 0;
  setText("ready-count", race === undefined ? "–" : `${ready} of ${race.bets.length}`);
  setText("contract", contract === undefined ? "" : `Contract ${contract} on chain ${chain?.id}.`);
  at("problem").hidden = problem === undefined;
  setText("problem", problem ?? "");
  showPlayerChoice(players);
  showTable("nodes", state.nodes.map(nodeRow));
  showControls();
}

function showOutcome() {
  const { race } = state;
  setText("race", race === undefined ? "–" : race.race === 0 ? "none yet" : `${race.race}`);
  setText("jackpot", race === undefined ? "–" : format.format(race.jackpot));
  showTable("players", playerRows());
  at("happenings").replaceChildren(...state.happenings.toReversed().map(happeningItem));
}

/** A race that ends while the page is open is run; one that ended before is only shown. */
function showRace(race, before) {
  const stakes = state.horses.map((_, horse) =>
    race.bets.filter((bet) => bet.horse === horse).reduce((sum, bet) => sum + bet.amount, 0),
  );
  track.showStakes(stakes);
  if (!race.finished) {
    if (before === undefined || before.finished || before.race !== race.race) {
      track.line();
      setText("result", `Race ${race.race} is open. It is run when all who bet are ready.`);
    }
    shown = 0;
    return;
  }
  if (race.race === 0) {
    setText("result", "Pick a horse and place the first bet.");
  } else if (shown !== race.race) {
    shown = race.race;
    if (before === undefined) {
      track.finish(race.race, race.winner);
      setText("result", outcomeOf(race));
    } else {
      setText("result", `Race ${race.race} is off!`);
      running = true;
      track.run(race.race, race.winner).then(() => {
        running = false;
        if (shown === race.race) setText("result", outcomeOf(race));
        showOutcome();
      });
    }
  }
}

function outcomeOf({ race, winner, bets }) {
  const backers = bets.filter(({ horse }) => horse === winner).map(({ player }) => nameOf(player));
  const share = backers.length === 0 ? "nobody bet on it, the jackpot stays" : `${backers.join(", ")} won`;
  return `${state.horses[winner]} wins race ${race}: ${share}.`;
}

function nameOf(address) {
  const player = state.players.find((one) => one.address === address);
  return player === undefined ? shorten(address) : `Player ${player.index + 1}`;
}

const shorten = (address) => `${address.slice(0, 8)}…${address.slice(-4)}`;

function showPlayerChoice(players) {
  const choice = at("player");
  if (choice.options.length === players.length) return;
  choice.replaceChildren(...players.map(({ index }) => new Option(`Player ${index + 1}`, `${index}`)));
  const remembered = sessionStorage.getItem("player");
  if (remembered !== null && Number(remembered) < players.length) choice.value = remembered;
}

function playerRows() {
  const { players, race } = state;
  const bets = race?.bets ?? [];
  const guests = bets.filter(({ player }) => !players.some(({ address }) => address === player));
  const betOf = (address) => bets.find(({ player }) => player === address);
  return [
    ...players.map(({ address, points, balance }) => playerRow(address, betOf(address), points, balance)),
    ...guests.map((bet) => playerRow(bet.player, bet)),
  ];
}

function playerRow(address, bet, points, balance) {
  const { finished, winner } = state.race ?? {};
  const betting = bet === undefined ? "–" : `${format.format(bet.amount)} on ${state.horses[bet.horse]}`;
  const standing =
    bet === undefined ? "–" : finished ? (bet.horse === winner ? "won" : "lost") : bet.ready ? "ready" : "betting";
  return [
    { text: nameOf(address), head: true },
    { text: points === undefined ? "–" : format.format(points), figures: true },
    { text: betting },
    { text: standing },
    { text: shorten(address), title: address },
    { text: balance === undefined ? "–" : format.format(balance), figures: true },
  ];
}

function nodeRow({ name, up, problem, role, height, peers, client }) {
  return [
    { text: name, head: true },
    { text: up ? "up" : "away", className: up ? "up" : "down", title: problem },
    { text: role ?? "–" },
    { text: height === undefined ? "–" : format.format(height), figures: true },
    { text: peers === undefined ? "–" : `${peers}`, figures: true },
    {
      text: client === undefined ? (problem ?? "–") : client.split("/").slice(0, 2).join("/"),
      title: client,
      className: "wrap",
    },
  ];
}

const happeningWords = {
  RaceOpened: ({ race, amount }) => `Race ${race} opens with ${format.format(amount)} points in the jackpot`,
  BetPlaced: ({ player, amount, horse }) => `${nameOf(player)} bets ${format.format(amount)} on ${state.horses[horse]}`,
  PlayerReady: ({ player }) => `${nameOf(player)} is ready`,
  RaceFinished: ({ race, horse }) => `${state.horses[horse]} wins race ${race}`,
  Paid: ({ player, amount }) => `${nameOf(player)} is paid ${format.format(amount)} points`,
};

function happeningItem(happening) {
  const item = document.createElement("li");
  const block = Object.assign(document.createElement("span"), {
    className: "block",
    textContent: `Block ${format.format(happening.block)}`,
  });
  item.append(
    block,
    Object.assign(document.createElement("span"), { textContent: happeningWords[happening.kind](happening) }),
  );
  return item;
}

/** Rows are only touched when they changed, so that a reader's place and selection stay. */
function showTable(id, rows) {
  const body = at(id);
  const text = JSON.stringify(rows);
  if (body.dataset.rows === text) return;
  body.dataset.rows = text;
  body.replaceChildren(
    ...rows.map((cells) => {
      const row = document.createElement("tr");
      row.append(...cells.map(tableCell));
      return row;
    }),
  );
}

function tableCell({ text, title, head, figures, className }) {
  const cell = document.createElement(head ? "th" : "td");
  cell.textContent = text;
  if (head) cell.scope = "row";
  if (title !== undefined) cell.title = title;
  cell.className = [figures ? "figures" : "", className ?? ""].join(" ").trim();
  return cell;
}

/** What the chosen player can do now. */
function showControls() {
  const { race, players, contract, problem } = state;
  const player = players[Number(at("player").value)];
  const open = race !== undefined && !race.finished;
  const bet = open ? race.bets.find((one) => one.player === player?.address) : undefined;
  const possible = contract !== undefined && problem === undefined && !sending && player !== undefined;
  at("bet").disabled = !possible || bet !== undefined;
  at("ready").disabled = !possible || bet === undefined || bet.ready;
  at("amount").max = `${player?.points ?? ""}`;
}

async function send(path, body, done) {
  if (sending) return;
  sending = true;
  answer("Waiting for the next block…");
  showControls();
  try {
    const response = await fetch(path, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    });
    const said = await response.json().catch(() => ({ error: `The server answers ${response.status}.` }));
    if (response.ok) answer(`${done} in block ${format.format(said.block)}.`);
    else answer(said.error, true);
  } catch {
    answer("The server cannot be reached. Trying again is safe: a player bets once per race.", true);
  } finally {
    sending = false;
    showControls();
  }
}

function answer(text, bad = false) {
  setText("answer", text);
  at("answer").classList.toggle("bad", bad);
}

function setText(id, text) {
  const element = at(id);
  if (element.textContent !== text) element.textContent = text;
}

at("form").addEventListener("submit", (event) => {
  event.preventDefault();
  const fields = new FormData(at("form"));
  const amount = Number(fields.get("amount"));
  if (!Number.isInteger(amount) || amount < 1) {
    answer("Points are a whole number from 1.", true);
    at("amount").focus();
    return;
  }
  send("api/bets", { player: Number(fields.get("player")), horse: Number(fields.get("horse")), amount }, "The bet is");
});
at("ready").addEventListener("click", () => send("api/ready", { player: Number(at("player").value) }, "Ready"));
at("player").addEventListener("change", () => {
  sessionStorage.setItem("player", at("player").value);
  showControls();
});

/** Listens for states, and connects again whenever the connection ends: soon at first, then more patiently. */
function listen(waitMs) {
  const address = new URL("live", location.href);
  address.protocol = location.protocol === "https:" ? "wss:" : "ws:";
  const socket = new WebSocket(address);
  let wait = waitMs;
  socket.addEventListener("message", ({ data }) => {
    wait = 500;
    connection("live", "Live");
    show(JSON.parse(data));
  });
  socket.addEventListener("close", () => {
    connection("lost", "Connection lost, trying again");
    setTimeout(listen, wait, Math.min(wait * 2, 8_000));
  });
}

function connection(kind, text) {
  at("state").className = `state ${kind}`;
  setText("state-text", text);
}

listen(500);
