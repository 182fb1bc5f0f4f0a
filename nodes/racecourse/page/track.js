/** The lanes and the race run in them. Only the winner comes from the chain; the rest is for show. */

const raceMs = 6_000;
const svg = "http://www.w3.org/2000/svg";

/** A small generator of numbers from 0 to 1 (mulberry32), so that every page shows the same race. */
function numbersFrom(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** How far each horse gets in the time the winner needs: 1 for the winner, less for the others, none alike. */
export function distances(race, winner, count) {
  const random = numbersFrom(race * 8_191 + winner);
  const behind = Array.from({ length: count }, (_, horse) => ({ horse, key: random() }))
    .filter(({ horse }) => horse !== winner)
    .sort((one, other) => one.key - other.key);
  const ends = new Array(count).fill(1);
  behind.forEach(({ horse }, place) => {
    ends[horse] = 0.95 - place * 0.07 - random() * 0.03;
  });
  return ends;
}

export class Track {
  #lanes = [];
  #animations = [];

  constructor(container, names) {
    container.replaceChildren(...names.map((name, horse) => this.#lane(name, horse)));
  }

  /** Points staked on each horse. */
  showStakes(stakes) {
    this.#lanes.forEach(({ stake }, horse) => {
      const text = stakes[horse] > 0 ? `${stakes[horse]} points on it` : "no bets";
      if (stake.textContent !== text) stake.textContent = text;
    });
  }

  /** All at the start. */
  line() {
    this.#end();
    for (const { lane, horse } of this.#lanes) {
      lane.classList.remove("winner");
      horse.style.removeProperty("left");
    }
  }

  /** All where the race ended. */
  finish(race, winner) {
    this.#end();
    distances(race, winner, this.#lanes.length).forEach((part, index) => {
      const { lane, horse } = this.#lanes[index];
      lane.classList.toggle("winner", index === winner);
      horse.style.left = place(part);
    });
  }

  /** Runs the race and resolves at its end; at once for those who want no motion. */
  async run(race, winner) {
    this.line();
    if (!matchMedia("(prefers-reduced-motion: reduce)").matches) {
      const random = numbersFrom(race * 131 + winner);
      const ends = distances(race, winner, this.#lanes.length);
      this.#animations = this.#lanes.map(({ lane, horse }, index) => {
        lane.classList.add("running");
        return horse.animate(strides(ends[index], random), { duration: raceMs, fill: "forwards" });
      });
      const outcome = await Promise.allSettled(this.#animations.map(({ finished }) => finished));
      if (outcome.some(({ status }) => status === "rejected")) return; // something newer is shown
    }
    this.finish(race, winner);
  }

  #end() {
    for (const animation of this.#animations) animation.cancel();
    this.#animations = [];
    for (const { lane } of this.#lanes) lane.classList.remove("running");
  }

  #lane(name, horse) {
    const lane = document.createElement("label");
    lane.className = "lane";
    lane.style.setProperty("--silks", `var(--silks-${horse})`);
    const choice = Object.assign(document.createElement("input"), { type: "radio", name: "horse", value: `${horse}` });
    choice.checked = horse === 0;
    const title = text("strong", name);
    const stake = text("small", "no bets");
    const words = document.createElement("span");
    words.append(title, " ", stake);
    const label = document.createElement("span");
    label.className = "name";
    const cloth = text("span", `${horse + 1}`);
    cloth.className = "cloth";
    label.append(cloth, words);
    const track = document.createElement("span");
    track.className = "track";
    const picture = document.createElementNS(svg, "svg");
    picture.setAttribute("class", "horse");
    picture.setAttribute("aria-hidden", "true");
    const use = document.createElementNS(svg, "use");
    use.setAttribute("href", "#horse");
    picture.append(use);
    track.append(picture);
    lane.append(choice, label, track);
    this.#lanes.push({ lane, horse: picture, stake });
    return lane;
  }
}

/** Where a horse stands that has run a part of the way, as CSS. */
const place = (part) => `calc(${(part * 100).toFixed(2)}% - ${(part * 5.7 - 0.25).toFixed(3)}rem)`;

/** Uneven steps to the end, so that the lead changes. */
function strides(end, random) {
  const steps = 6;
  return Array.from({ length: steps + 1 }, (_, step) => {
    const even = step / steps;
    const sway = step === 0 || step === steps ? 0 : (random() - 0.5) * 0.13;
    return { left: place(Math.max(0, (even + sway) * end)), offset: even };
  });
}

function text(tag, content) {
  return Object.assign(document.createElement(tag), { textContent: content });
}
