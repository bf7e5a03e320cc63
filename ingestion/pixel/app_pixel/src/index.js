import {register} from "@shopify/web-pixels-extension";
import {startPixelnova} from "./pixelnova.js";

register((api) => startPixelnova(api, api.settings));
