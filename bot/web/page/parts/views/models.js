// Models: what there is and what of it is here, what fits this machine, and how a model comes and goes.

import { get, part, post, remove } from "../api.js";
import { useHouse } from "../house.js";
import { useAsked, useDoing } from "../ui/asked.js";
import { Button } from "../ui/button.js";
import { Card } from "../ui/card.js";
import { Sure } from "../ui/dialog.js";
import { Waiting } from "../ui/empty.js";
import { Choice, Field } from "../ui/field.js";
import { Page } from "../ui/page.js";
import { Problem } from "../ui/problem.js";
import { Progress } from "../ui/progress.js";
import { html, useEffect, useRef, useState } from "../vdom.js";
import { bytes, say } from "./saying.js";

const FITS = { "fits on gpu": "gpu", "fits in ram, slow": "ram", no: "no" };
const OVER = ["done", "failed", "stopped"];

export default function Models() {
  const { live, me } = useHouse();
  const [pulls, setPulls] = useState(new Map());
  const [kind, setKind] = useState("");
  /** How much was told so far, and by then of which model last. */
  const told = useRef({ count: 0, of: new Map() });
  const models = useAsked(async (signal) => {
    const found = await get("/models", { signal });
    setPulls(new Map(found.pulls.map((one) => [one.id, one])));
    return found;
  });
  useEffect(
    () =>
      live.watch("models", (event) => {
        if (event.is === "pull") {
          told.current.of.set(event.id, (told.current.count += 1));
          setPulls((now) => new Map(now).set(event.id, event));
          if (OVER.includes(event.state)) models.again();
        } else if (event.is === "again") models.again();
      }),
    [live],
  );
  const mayChange = !me || me.scopes.includes("manage");
  const items = models.found?.items ?? [];
  const kinds = [...new Set(items.map((one) => one.kind))];
  const shown = items.filter((one) => !kind || one.kind === kind);
  /** The answer to an order goes a way of its own: whatever is told since is newer. */
  const took = async (asking) => {
    const before = told.current.count;
    const pull = await asking;
    if ((told.current.of.get(pull.id) ?? 0) <= before) setPulls((now) => new Map(now).set(pull.id, pull));
  };
  const shared = { pulls, took, again: models.again, mayChange };
  const strangers = [...pulls.values()].filter((one) => one.state !== "done" && !items.some((known) => known.id === one.id));
  return html`
    <${Page} title=${say("place_models")}>
      <${Problem} trouble=${models.trouble} again=${models.again} />
      ${!models.found && models.loading && html`<${Waiting} label=${say("loading")} />`}
      ${models.found &&
      html`
        <p class="lead">${machineOf(models.found)}</p>
        <p class="soft">${models.found.reason}</p>
        <div class="filters">
          <${Choice} label=${say("kind")} value=${kind} change=${setKind} choices=${[["", say("any")], ...kinds.map((one) => [one, one])]} />
        </div>
        ${mayChange && html`<${Another} took=${took} />`}
        <${Some} title=${say("models_coming")} models=${strangers.map(asModel)} ...${shared} />
        <${Some} title=${say("models_here")} models=${shown.filter((one) => one.installed)} none=${say("no_models_here")} ...${shared} />
        <${Some} title=${say("models_to_fetch")} models=${shown.filter((one) => !one.installed)} ...${shared} />
      `}
    <//>
  `;
}

function machineOf({ machine, disk_free }) {
  const gpu = machine.gpu > 0 ? `${machine.gpu_name}, ${bytes(machine.gpu)}` : say("no_gpu");
  return say("machine", { gpu, ram: bytes(machine.ram), disk: bytes(disk_free) });
}

/** A model that is in no list yet, as far as its pull tells of it. */
const asModel = ({ id, name, kind, total }) => ({ id, name, kind, title: name, size: total, fits: "", licence: "", good_at: "", installed: false });

function Another({ took }) {
  const { tell } = useHouse();
  const [doing, act] = useDoing(tell);
  const [name, setName] = useState("");
  const fetch = (event) => {
    event.preventDefault();
    act(async () => {
      await took(post(`${pathOf(name.trim())}/pull`));
      setName("");
    });
  };
  return html`
    <form class="another" onSubmit=${fetch}>
      <${Field} label=${say("another_model")} hint=${say("another_model_hint")} maxlength="300" value=${name} change=${setName} />
      <${Button} type="submit" icon="down" busy=${doing} disabled=${!name.trim()}>${say("fetch")}<//>
    </form>
  `;
}

const pathOf = (name) => `/models/${name.split("/").map(part).join("/")}`;

function Some({ title, models, none, ...rest }) {
  if (models.length === 0 && !none) return null;
  return html`
    <${Card} title=${title}>
      ${models.length === 0 && html`<p class="soft">${none}</p>`}
      <ul class="rows">
        ${models.map((one) => html`<${Model} key=${one.id} model=${one} ...${rest} />`)}
      </ul>
    <//>
  `;
}

function Model({ model, pulls, took, again, mayChange }) {
  const { tell } = useHouse();
  const [doing, act] = useDoing(tell);
  const [sure, ask] = useState(false);
  const pull = pulls.get(model.id);
  const comes = pull && !OVER.includes(pull.state);
  const order = (what) => () => act(() => took(post(`${pathOf(pull?.name ?? model.id)}/${what}`)));
  const away = () =>
    act(async () => {
      ask(false);
      const { freed } = await remove(pathOf(`${model.kind}/${model.id}`));
      tell(say("model_removed", { name: model.title, size: bytes(freed) }), "good");
      again();
    });
  const fit = FITS[model.fits];
  const told = [model.kind, bytes(model.size), fit && say(`fits_${fit}`), model.licence, model.gated && say("gated")];
  return html`
    <li class="row" data-model=${model.id}>
      <div class="row-words">
        <p class="row-title">
          ${model.title}
          ${model.in_use && html` <span class="mark">${say("in_use")}</span>`}
          ${model.offered && !model.installed && html` <span class="mark">${say("offered")}</span>`}
        </p>
        <p class="row-small">${told.filter(Boolean).join(" · ")}</p>
        ${model.good_at && html`<p class="row-more">${model.good_at}</p>`}
        ${comes &&
        html`
          <${Progress} value=${pull.total > 0 ? pull.done : undefined} max=${Math.max(1, pull.total)} label=${say("fetching", { name: model.title })}>
            ${[say("bytes_of", { done: bytes(pull.done), total: bytes(pull.total) }), pull.note].filter(Boolean).join(" · ")}
          <//>
        `}
        ${pull?.state === "failed" && html`<p class="row-error">${pull.note}</p>`}
      </div>
      ${mayChange &&
      html`
        <div class="row-actions">
          ${comes && html`<${Button} icon="stop" busy=${doing} onClick=${order("stop")}>${say("stop")}<//>`}
          ${!comes && !model.installed && html`<${Button} icon="down" busy=${doing} onClick=${order("pull")}>${say("fetch")}<//>`}
          ${model.installed && html`<${Button} kind="danger" onClick=${() => ask(true)}>${say("remove")}<//>`}
        </div>
      `}
      ${sure && html`<${Sure} title=${say("sure_remove_model", { name: model.title })} yes=${say("remove")} act=${away} close=${() => ask(false)}>${say("sure_remove_model_more")}<//>`}
    </li>
  `;
}
