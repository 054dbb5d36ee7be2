import { attacks } from "./attacks.js"

attacks("memory", () => ({}))
