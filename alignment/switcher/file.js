// The page as a file: its data lie in it, sound and pages beside it.

import { open } from "./main.js";

// Reads by adding a script to the page, which calls `incipit.piece`: the one way that works from a file.
class FileSource {
  constructor() {
    this.waiting = new Map();
  }

  async model() {
    return JSON.parse(document.querySelector("#switcher-data").textContent);
  }

  // The bytes of a piece of a performance, by its number from 0.
  piece(file, number) {
    return this.read("audio", `${file}-${String(number + 1).padStart(4, "0")}`);
  }

  // The text of a page of the score.
  async page(name) {
    return new TextDecoder().decode(await this.read("score", name));
  }

  // The address of the module that changes the speed of sound.
  async worklet() {
    return `data:text/javascript;base64,${await this.text("code", "stretcher")}`;
  }

  receive(name, base64) {
    this.waiting.get(name)?.(base64);
  }

  async read(folder, name) {
    return bytesOf(await this.text(folder, name));
  }

  // What FOLDER/NAME.js hands over, in Base64.
  text(folder, name) {
    return new Promise((resolve, reject) => {
      const script = document.createElement("script");
      const done = (settle, value) => {
        script.remove();
        this.waiting.delete(name);
        settle(value);
      };
      this.waiting.set(name, (base64) => done(resolve, base64));
      script.onerror = () => done(reject, new Error(`${folder}/${name}.js cannot be read`));
      script.src = `${folder}/${name}.js`;
      document.head.append(script);
    });
  }
}

function bytesOf(base64) {
  const text = atob(base64);
  const bytes = new Uint8Array(text.length);
  for (let index = 0; index < text.length; index += 1) bytes[index] = text.charCodeAt(index);
  return bytes.buffer;
}

const files = new FileSource();
globalThis.incipit = { piece: (name, base64) => files.receive(name, base64) };
open(files);
