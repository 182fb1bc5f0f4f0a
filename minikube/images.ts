import type { BuiltImage } from "../images/build.ts";
import { EnvironmentError, messageOf } from "../schema/errors.ts";
import type { Preparing } from "../targets/module.ts";
import * as minikube from "./cli.ts";

/** `minikube image load` has ended well without loading; so the list is read again. */
export async function loadImages(profile: string, built: readonly BuiltImage[], preparing: Preparing): Promise<void> {
  if (built.length === 0) return;
  const { progress, signal } = preparing;
  const missing = async () => {
    const present = await minikube.images(profile);
    return built.filter((image) => !present.has(image.reference));
  };
  for (const image of await missing()) {
    const task = `load image ${image.name} into minikube`;
    progress.start(task);
    try {
      await minikube.loadImage(profile, image.archive, signal);
    } catch (error) {
      progress.fail(task, messageOf(error));
      throw new EnvironmentError(
        `The image ${image.reference} could not be loaded into minikube: ${messageOf(error)}`,
        `See that its disk is not full (minikube ssh -p ${profile} -- df -h /var), then run it again.`,
        { cause: error },
      );
    }
    progress.done(task);
  }
  const [lost] = await missing();
  if (lost !== undefined) {
    throw new EnvironmentError(
      `The image ${lost.reference} is not in minikube although it was loaded.`,
      `Load it by hand and look: minikube image load ${lost.archive} -p ${profile} && minikube image ls -p ${profile}`,
    );
  }
}
